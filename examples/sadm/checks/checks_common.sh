# Checks for other scripts to source. Each prints a line; verdict is the exit status.
failed=0

report() {
	if "${@:2}" >/dev/null 2>&1; then
		echo "PASS $1"
	else
		echo "FAIL $1"
		failed=1
	fi
}

check_hostname() { report "the host name is $1" test "$(hostname)" = "$1"; }
check_address() { report "the address $1 is there" grep -qw "$1" <(ip -4 address); }
check_file() { report "$1 is there" test -s "$1"; }
check_unit() {
	report "$1 is enabled" systemctl is-enabled "$1"
	report "$1 is active" systemctl is-active "$1"
}

verdict() {
	[ $failed = 0 ] || echo "There are failures." >&2
	exit $failed
}
