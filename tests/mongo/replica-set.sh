#!/bin/sh
# A replica set of three mongod on this host, and the troubles of its primary, for
# the tests that want the real thing. It needs mongod and mongosh on the PATH:
#
#   tests/mongo/replica-set.sh up
#   HAYATE_TEST_MONGODB_URI="$(tests/mongo/replica-set.sh uri)" go test ./infra/mongo ./tests/serverless
#   HAYATE_TEST_MONGODB_URI="$(tests/mongo/replica-set.sh uri)" \
#     HAYATE_MONGO_TROUBLE="$PWD/tests/mongo/replica-set.sh" go test ./tests/mongo -v
#   tests/mongo/replica-set.sh down
#
# pause and continue stop the primary where it stands and let it go on; kill ends
# it as a power cut does and start brings it back. Data lie in HAYATE_MONGO_DIR
# (default: hayate-replica-set in the directory for temporary files).
set -eu

dir=${HAYATE_MONGO_DIR:-${TMPDIR:-/tmp}/hayate-replica-set}
ports='27117 27118 27119'

say() { echo "$0: $*" >&2; }

need() {
	command -v "$1" >/dev/null || { say "$1 is not on the PATH; install MongoDB, or set HAYATE_TEST_MONGODB_URI to a set of your own"; exit 2; }
}

uri() { echo 'mongodb://127.0.0.1:27117,127.0.0.1:27118,127.0.0.1:27119/?replicaSet=hayate'; }

node() {
	mkdir -p "$dir/$1"
	mongod --replSet hayate --bind_ip 127.0.0.1 --port "$1" --dbpath "$dir/$1" --logpath "$dir/$1.log" --logappend \
		--pidfilepath "$dir/$1.pid" --fork >/dev/null
}

# primary prints the port of the primary, once there is one.
primary() {
	mongosh --quiet "$(uri)" --eval 'db.hello().primary' | sed 's/.*://'
}

case ${1:-} in
up)
	need mongod
	need mongosh
	for p in $ports; do node "$p"; done
	mongosh --quiet --port 27117 --eval '
		rs.initiate({_id: "hayate", members: [27117, 27118, 27119].map((p, i) => ({_id: i, host: "127.0.0.1:" + p}))})' >/dev/null
	primary >/dev/null
	uri
	;;
uri) uri ;;
pause)
	primary >"$dir/hurt"
	kill -STOP "$(cat "$dir/$(cat "$dir/hurt").pid")"
	;;
continue) kill -CONT "$(cat "$dir/$(cat "$dir/hurt").pid")" ;;
kill)
	primary >"$dir/hurt"
	kill -KILL "$(cat "$dir/$(cat "$dir/hurt").pid")"
	;;
start)
	rm -f "$dir/$(cat "$dir/hurt")/mongod.lock"
	node "$(cat "$dir/hurt")"
	;;
down)
	for p in $ports; do
		if [ -s "$dir/$p.pid" ]; then kill -KILL "$(cat "$dir/$p.pid")" 2>/dev/null || say "node $p had ended"; fi
	done
	rm -rf "$dir"
	;;
*)
	say "usage: $0 up|uri|pause|continue|kill|start|down"
	exit 2
	;;
esac
