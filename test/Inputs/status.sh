# Runs a command and checks its exit status: `status.sh 2 opt --no-such-option`; what it prints is passed on.
expected=$1
shift
"$@"
status=$?
if [ "$status" -ne "$expected" ]; then
  echo "$1 ended with exit status $status, expected $expected" >&2
  exit 1
fi
