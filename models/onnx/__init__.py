"""Binary networks as files for other tools: ONNX, and ONNX with QONNX's marks of what is binary."""
