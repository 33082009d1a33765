package debian

// addon is a service that the caller asks for by its Arch name.
type addon struct {
	name   string
	debs   []string // what apt installs
	recipe recipe
	// users renames accounts of Debian's to Arch's.
	users map[string]string
}

var addons = []addon{
	{
		name: "nginx",
		debs: []string{"nginx"},
		recipe: recipe{
			debs: []string{"nginx", "nginx-common"},
			without: []string{"etc/nginx/sites-*", "etc/nginx/modules-*", "etc/nginx/snippets", "etc/nginx/conf.d",
				"etc/default/nginx", "etc/init.d", "usr/share/nginx/modules*", "var/www", "usr/share/vim"},
			dirs: map[string]dir{
				"etc/nginx":     {mode: 0o755},
				"var/log/nginx": {mode: 0o750, owner: "http"},
			},
			depends: []string{"openssl", "bash"},
		},
	},
	{
		name: "bind",
		debs: []string{"bind9", "bind9-utils"},
		recipe: recipe{
			debs: []string{"bind9", "bind9-utils"},
			without: []string{"etc/bind/", "etc/default/named", "etc/ppp", "etc/network", "usr/lib/systemd/system/named*.service",
				"var/cache/bind", "var/lib/bind"},
			// named and its tools were built to look below /etc/bind, and Arch has their files in /etc.
			links: map[string]string{"etc/bind": "."},
			dirs: map[string]dir{
				"var/named": {mode: 0o770, owner: "named"},
			},
			depends: []string{"bind-tools", "bash"},
		},
		users: map[string]string{"bind": "named"},
	},
}
