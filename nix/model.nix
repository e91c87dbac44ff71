# The embedding model, made from the locked weights by the application's own builder. Only the builder's files
# are its source, so it changes only with them.
{
  runCommand,
  modelEnvironment,
  src,
}:
runCommand "embedding-model" { } ''
  mkdir source
  cp -r ${src}/app source/
  chmod -R u+w source
  touch source/app/__init__.py source/app/embedding/__init__.py
  HOME=$PWD PYTHONPATH=$PWD/source ${modelEnvironment}/bin/python -B -m app.embedding.build $PWD/model
  mkdir $out
  cp model/* $out/
''
