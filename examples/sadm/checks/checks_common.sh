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

is_enabled() { [[ $1 = @(enabled|static|alias|indirect) ]]; }

# check_units asks systemd about all of them at once.
check_units() {
	local active=() enabled=() i=0 line unit
	while IFS= read -r line; do
		case $line in
		ActiveState=*) active[i]=${line#*=} ;;
		UnitFileState=*) enabled[i]=${line#*=} ;;
		'') i=$((i + 1)) ;;
		esac
	done < <(systemctl show --property=ActiveState,UnitFileState -- "$@")
	i=0
	for unit; do
		report "$unit is enabled" is_enabled "${enabled[i]-}"
		report "$unit is active" test "${active[i]-}" = active
		i=$((i + 1))
	done
}

verdict() {
	[ ${#failures[@]} = 0 ] && exit 0
	echo "Not so:$(printf ' %s;' "${failures[@]}")" >&2
	exit 1
}
