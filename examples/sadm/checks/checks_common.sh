# Checks for other scripts to source. Each prints a line; verdict is the exit status.
failures=()

report() {
	if "${@:2}" >/dev/null 2>&1; then
		echo "PASS $1"
	else
		echo "FAIL $1"
		failures+=("$1")
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
	[ ${#failures[@]} = 0 ] && exit 0
	echo "Not so:$(printf ' %s;' "${failures[@]}")" >&2
	exit 1
}
