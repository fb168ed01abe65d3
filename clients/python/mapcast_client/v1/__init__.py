"""Generated from proto/mapcast/v1: messages and gRPC stubs."""
