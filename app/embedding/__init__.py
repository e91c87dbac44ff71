"""Text to vectors: a local engine on onnxruntime, or any server that speaks the OpenAI protocol."""
