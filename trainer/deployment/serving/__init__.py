"""A policy behind HTTP and WebSocket: observations in, action chunks out, as MessagePack."""
