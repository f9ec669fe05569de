"""A backbone's file in another folder, without a second copy."""

from pathlib import Path

from trainer.training.backbone_files import link_backbone


def test_a_backbone_of_the_hubs_cache_is_linked_and_a_dangling_link_replaced(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0a").write_bytes(b"weights")
    source = tmp_path / "snapshots" / "main" / "backbones" / "abc.safetensors"
    source.parent.mkdir(parents=True)
    source.symlink_to("../../../blobs/0a")
    target = tmp_path / "run" / "backbones" / "abc.safetensors"
    target.parent.mkdir(parents=True)
    # What an earlier version left.
    target.symlink_to("../../../blobs/0a")
    assert not target.exists()
    for _ in range(2):
        link_backbone("abc", source, target.parent)
        assert target.read_bytes() == b"weights"
        assert not target.is_symlink()
        assert target.samefile(tmp_path / "blobs" / "0a")
