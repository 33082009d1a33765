"""Who asks a web server."""

from installer import service, write
from prologin import presencesync_sso

# Other web servers ask as well and say for whom, hence no common server of nginx.
VHOST = """server {
    listen 80;
    server_name sso sso.prolo;
    access_log off;

    location / {
        proxy_pass http://127.0.0.1:%d;
        proxy_set_header X-Real-IP $http_x_real_ip;
    }
}
"""


def install():
    service("presencesync_sso", "Single sign-on by presence", after="nginx.service")
    write("/etc/nginx/services/sso.nginx", VHOST % presencesync_sso.PORT)
