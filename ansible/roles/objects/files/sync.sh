# sh -s -- make|look FOLDER: files made in it are written synchronously, since rclone itself never calls fsync.
# Prints what was, or would be, changed.
set -eu
[ -d "$2" ] || { echo "$2"; exit 0; }
case $(lsattr -d "$2" | cut -d ' ' -f 1) in
  *S*D*) ;;
  *)
    echo "$2"
    [ "$1" = look ] || chattr -R -f +S "$2"
    [ "$1" = look ] || find "$2" -type d -exec chattr +D {} +
    ;;
esac
