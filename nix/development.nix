# One Python that sees several environments and has all their commands: for the shell and the checks. Its `ka` is
# the code of the folder it is started in.
{
  runCommand,
  python313,
  environments,
  model,
}:
runCommand "development-environment" { } ''
  ${python313.interpreter} -m venv --without-pip $out
  rm -f $out/bin/activate* $out/bin/Activate.ps1 $out/.gitignore
  mkdir -p $out/share/knowledge-assistant
  ln -s ${model} $out/share/knowledge-assistant/model
  printf '#!%s\nfrom app.cli import main\n\nmain()\n' $out/bin/python > $out/bin/ka
  chmod +x $out/bin/ka
  for environment in ${toString environments}; do
    echo "import site; site.addsitedir('$environment/${python313.sitePackages}')" \
      >> $out/${python313.sitePackages}/environments.pth
    for program in $environment/bin/*; do
      name=''${program##*/}
      [ -e $out/bin/$name ] || [ -d $program ] && continue
      if [ "$(head -c 2 $program)" = "#!" ]; then
        # a script of one environment would not see the others
        sed "1s|^#!.*python.*|#!$out/bin/python|" $program > $out/bin/$name
        chmod +x $out/bin/$name
      else
        ln -s $program $out/bin/$name
      fi
    done
  done
''
