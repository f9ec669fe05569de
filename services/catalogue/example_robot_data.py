"""Files of the package example-robot-data, which ships the URDFs, SRDFs and meshes of many robots."""

from services.catalogue.files import PackageFiles


def robot_files(urdf: str, srdf: str | None = None) -> PackageFiles:
    """Files below the package's folder of robots."""
    folder = "example-robot-data/robots"
    return PackageFiles(
        "example-robot-data", "cmeel.prefix/share", f"{folder}/{urdf}", f"{folder}/{srdf}" if srdf else None
    )
