"""The head: backbones, conditioning, what it sees of observations, the diffusion process and the sampler."""
