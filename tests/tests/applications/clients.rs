//! The clients: what their users type, what must come back and what must arrive.
//!
//! `http_proxy` is set, as it would be in a user's shell. Each runs in an empty home.

/// One client.
pub(crate) struct Row {
    /// The client, and what it does.
    pub(crate) name: &'static str,
    /// What its user types.
    pub(crate) line: &'static str,
    /// A part of what it must print.
    pub(crate) prints: &'static str,
    /// Parts of what nginx, Apache or our origin must have seen.
    pub(crate) arrives: &'static [&'static str],
}

/// What `ann:secret@` becomes.
const AS_ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==";

pub(crate) const CLIENTS: &[Row] = &[
    // The slow ones first: they need not wait for the others.
    Row {
        name: "maven: a parent and a list of versions",
        line: "mvn -q -B -s $PROGRAMS/maven/settings.xml -f $PROGRAMS/maven/pom.xml \
               -Dmaven.repo.local=$HOME/m2 -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=$PROXY_PORT \
               -Dhttp.nonProxyHosts= validate
               ls m2/com/example",
        prints: "seacat-parent\nseacat-versions\n",
        arrives: &["GET /maven/com/example/seacat-parent/1/seacat-parent-1.pom 200"],
    },
    Row {
        name: "mono: HttpWebRequest and WebClient",
        line: "mcs -out:client.exe $PROGRAMS/Client.cs
               mono client.exe http://web.seacat http://origin.seacat",
        prints: "hello from nginx",
        arrives: &["POST /sum HTTP/1.1", "SOAPAction: urn:probe"],
    },
    Row {
        name: "svn: checkout, commit, copy",
        line: "mkdir -p .subversion
               printf '[global]\\nhttp-proxy-host=127.0.0.1\\nhttp-proxy-port=%s\\n' $PROXY_PORT \
                 > .subversion/servers
               svn -q checkout http://apache.seacat/svn work
               cd work; mkdir trunk; echo text > trunk/file; svn -q add trunk; svn -q commit -m first
               svn -q copy -m second http://apache.seacat/svn/trunk http://apache.seacat/svn/branch
               svn cat http://apache.seacat/svn/branch/file; svn -q update; cat branch/file",
        prints: "text\ntext\n",
        arrives: &["MERGE /svn 200", "REPORT /svn/!svn/me 200"],
    },
    Row {
        name: "hg: clone, commit, push",
        line: "hg -q clone http://hg.seacat work; cd work
               for n in 1 2 3; do echo $n > file; hg -q commit -A -u me -m $n; done
               hg -q push; cd ..; hg -q clone http://hg.seacat again; cat again/file",
        prints: "3\n",
        arrives: &[],
    },
    Row {
        name: "git: clone and push to http-backend",
        line: "git config --global user.name me; git config --global user.email me@example.com
               git clone -q http://apache.seacat/git/project.git work; cd work; git checkout -qb main
               for n in 1 2 3; do echo $n > file; git add .; git commit -qm $n; done
               head -c 3000000 /dev/urandom > big; git add .; git commit -qm big
               git push -q origin main; cd ..
               git clone -q http://apache.seacat/git/project.git again; cd again
               cat file; git fsck --strict; wc -c < big",
        prints: "3\n3000000",
        arrives: &["POST /git/project.git/git-receive-pack 200"],
    },
    Row {
        name: "apt: update, download",
        line: "mkdir -p a/lists/partial a/archives/partial; touch a/status
               echo 'deb [trusted=yes] http://web.seacat/apt ./' > a/list
               apt='-o Dir::Etc::SourceList='$HOME'/a/list -o Dir::Etc::SourceParts=- \
                    -o Dir::State='$HOME'/a -o Dir::State::Status='$HOME'/a/status \
                    -o Dir::Cache='$HOME'/a -o Dir::Etc::Parts=- -o Dir::Etc::Main=- \
                    -o APT::Sandbox::User=root'
               apt-get $apt -q update; apt-get $apt download seacat-probe
               dpkg-deb -f seacat-probe_1.0_all.deb Description",
        prints: "proves that a package arrives",
        arrives: &["GET /apt/./Packages.gz 200"],
    },
    Row {
        name: "pip: a wheel",
        line: "$PYTHON -m pip -q install --no-cache-dir --target got --trusted-host web.seacat \
                 --index-url http://web.seacat/pypi seacat-probe
               cat got/seacat_probe.py",
        prints: "a wheel",
        arrives: &["GET /pypi/seacat-probe/ 200"],
    },
    Row {
        name: "npm: a package",
        line: "npm install --silent --registry http://web.seacat/npm seacat-probe
               node -p 'require(\"seacat-probe\")'",
        prints: "an npm package",
        arrives: &["GET /npm/seacat-probe-1.0.0.tgz 200"],
    },
    Row {
        name: "rclone: a tree to rclone's WebDAV",
        line: "mkdir -p tree/deep; echo one > tree/one; echo two > 'tree/deep/t w ö'
               dav='--webdav-url http://rclone.seacat'
               rclone -q copy tree :webdav:tree $dav; rclone -q check tree :webdav:tree $dav
               rclone -q delete :webdav:tree/deep $dav; rclone lsf -R :webdav:tree $dav",
        prints: "one",
        arrives: &[],
    },
    Row {
        name: "curl -L: folders of nginx and Apache",
        line: "for host in web.seacat web apache.seacat apache; do
                   curl -sSL -o page -w '%{http_code} %{url_effective}\\n' http://$host/docs
                   grep -q 'the documents' page
               done",
        prints: "200 http://web.seacat/docs/\n200 http://web/docs/\n\
                 200 http://apache.seacat/docs/\n200 http://apache/docs/\n",
        arrives: &[],
    },
    Row {
        name: "wget -r: trees of nginx and Apache",
        line: "wget -qr -np http://web.seacat/docs/ http://apache/docs/; find . -type f | sort | xargs grep .",
        prints: "./apache/docs/deep:a page\n\
                 ./apache/docs/index.html:<a href=\"deep\">the documents</a>\n\
                 ./web.seacat/docs/deep:a page\n\
                 ./web.seacat/docs/index.html:<a href=\"deep\">the documents</a>\n",
        arrives: &["GET /docs/deep 301", "GET /docs/deep/ 200"],
    },
    Row {
        name: "curl: MOVE and COPY of nginx",
        line: "for host in web.seacat web; do
                   curl -sS -T /etc/hostname http://$host/dav/$host
                   curl -sS -X COPY -H \"Destination: http://$host/dav/$host-copy\" http://$host/dav/$host
                   curl -sS -X MOVE -H \"Destination: http://$host/dav/$host-moved\" http://$host/dav/$host
                   curl -sS -o x -w '%{http_code} ' http://$host/dav/$host
                   curl -sS -o x -w '%{http_code} ' http://$host/dav/$host-copy
                   curl -sS -o x -w '%{http_code}\\n' http://$host/dav/$host-moved
               done",
        prints: "404 200 200\n404 200 200\n",
        arrives: &["MOVE /dav/web.seacat 204", "COPY /dav/web 204"],
    },
    Row {
        name: "rclone: renames at rclone's WebDAV",
        line: "for host in rclone.seacat rclone; do
                   dav=\"--retries 1 --low-level-retries 1 --webdav-url http://$host\"
                   echo text > file; rclone -q copyto file :webdav:$host/a $dav
                   rclone -q copyto :webdav:$host/a :webdav:$host/b $dav
                   rclone -q moveto :webdav:$host/b :webdav:$host/c $dav
                   rclone lsf :webdav:$host $dav
               done",
        prints: "a\nc\na\nc\n",
        arrives: &[],
    },
    Row {
        name: "curl: a name and a password in the URL",
        line: "curl -sS http://ann:secret@origin.seacat/echo/curl",
        prints: AS_ANN,
        arrives: &["GET /echo/curl HTTP/1.1"],
    },
    Row {
        name: "wget: the same",
        line: "wget -qO- http://ann:secret@origin.seacat/echo/wget",
        prints: AS_ANN,
        arrives: &["GET /echo/wget HTTP/1.1"],
    },
    Row {
        name: "aria2: the same",
        line: "aria2c -q -o echo http://ann:secret@origin.seacat/echo/aria2; cat echo",
        prints: AS_ANN,
        arrives: &["GET /echo/aria2 HTTP/1.1"],
    },
    Row {
        name: "LWP: the same, with a fragment",
        line: "lwp-request -m GET 'http://ann:secret@origin.seacat/echo/lwp#top'",
        prints: AS_ANN,
        arrives: &["GET /echo/lwp HTTP/1.1"],
    },
    Row {
        name: "lynx: the same",
        line: "lynx -dump http://ann:secret@origin.seacat/echo/lynx",
        prints: AS_ANN,
        arrives: &["GET /echo/lynx HTTP/1.1"],
    },
    Row {
        name: "w3m: the same",
        line: "w3m -dump http://ann:secret@origin.seacat/echo/w3m",
        prints: AS_ANN,
        arrives: &["GET /echo/w3m HTTP/1.1"],
    },
    Row {
        name: "lftp: the same",
        line: "lftp -c 'set net:max-retries 1; get http://ann:secret@origin.seacat/echo/lftp'; cat lftp",
        prints: AS_ANN,
        arrives: &["GET /echo/lftp HTTP/1.1"],
    },
    Row {
        name: "PHP: the same, with a fragment",
        line: "php -r 'echo file_get_contents($argv[1], false, stream_context_create([\"http\" =>
                   [\"proxy\" => \"tcp://127.0.0.1:$argv[2]\", \"request_fulluri\" => true]]));' \
                 'http://ann:secret@origin.seacat/echo/php#top' $PROXY_PORT",
        prints: AS_ANN,
        arrives: &["GET /echo/php HTTP/1.1"],
    },
    Row {
        name: "urllib: a fragment",
        line: "/usr/bin/python3 -c 'import sys, urllib.request as u
print(u.urlopen(sys.argv[1]).read().decode())' 'http://origin.seacat/echo/urllib#top'",
        prints: "GET /echo/urllib HTTP/1.1\r\n",
        arrives: &[],
    },
    Row {
        name: "BusyBox wget: a fragment",
        line: "busybox wget -qO- 'http://origin.seacat/echo/busybox#top'",
        prints: "GET /echo/busybox HTTP/1.1\r\n",
        arrives: &[],
    },
    Row {
        name: "curl -g: quotes and braces, as Prometheus is asked",
        line: r#"curl -sSg 'http://node.seacat/api?query=up{job="x"}'"#,
        prints: r#""url":"/api?query=up{job=\"x\"}""#,
        arrives: &[],
    },
    Row {
        name: "curl: UTF-8 as it is typed",
        line: "curl -sS 'http://origin.seacat/grüße?an=<ö>`'",
        prints: "you asked for /grüße?an=<ö>`",
        arrives: &[],
    },
    Row {
        name: "curl: OPTIONS of a whole server",
        line: "curl -sS -X OPTIONS --request-target http://origin.seacat http://origin.seacat",
        prints: "you asked for *",
        arrives: &["OPTIONS * HTTP/1.1"],
    },
    Row {
        name: "curl: Host as it is typed",
        line: "for host in origin.seacat Origin.SeaCat origin:80 origin.seacat:80; do
                   curl -sS http://$host/echo/$host | grep -i ^host
               done",
        prints: "Host: origin.seacat\r\nHost: Origin.SeaCat\r\n\
                 Host: origin\r\nHost: origin.seacat\r\n",
        arrives: &[],
    },
    Row {
        name: "wget: a form",
        line: "wget -qO- --post-data=by=wget http://origin.seacat/echo",
        prints: "\r\n\r\nby=wget",
        arrives: &["POST /echo HTTP/1.1"],
    },
    Row {
        name: "aria2: a file in four pieces",
        line: "aria2c -q -x4 -s4 -k1M http://apache.seacat/four-megabytes; wc -c < four-megabytes",
        prints: "4194304",
        arrives: &["GET /four-megabytes 206"],
    },
    Row {
        name: "LWP: lwp-request",
        line: "echo by=lwp | lwp-request -m POST http://origin.seacat/echo",
        prints: "\r\n\r\nby=lwp\n",
        arrives: &[],
    },
    Row {
        name: "PHP: streams and curl",
        line: "php $PROGRAMS/client.php http://web.seacat http://origin.seacat",
        prints: "streams: hello from nginx\ncurl: 5000\n",
        arrives: &[],
    },
    Row {
        name: "BusyBox wget",
        line: "busybox wget -qO- http://web.seacat/hello.txt",
        prints: "hello from nginx",
        arrives: &[],
    },
    Row {
        name: "npm's ws: Tornado",
        line: "for how in connect upgrade; do
                   node $PROGRAMS/ws_client.cjs $how ws://tornado.seacat/echo
                   node $PROGRAMS/ws_client.cjs $how ws://tornado/echo
               done",
        prints: "BY CONNECT\nBY CONNECT\nBY UPGRADE\nBY UPGRADE\n",
        arrives: &[],
    },
    Row {
        name: "npm's ws: a host that allows no Upgrade",
        line: "timeout 60 node $PROGRAMS/ws_client.cjs upgrade ws://web.seacat/hello.txt || true",
        prints: "Unexpected server response: 200",
        arrives: &["GET /hello.txt 200"],
    },
    Row {
        name: "socket.io: polling, then WebSocket",
        line: "node $PROGRAMS/socketio_client.cjs http://chat.seacat
               node $PROGRAMS/socketio_client.cjs http://chat
               unset http_proxy; node $PROGRAMS/socketio_client.cjs http://127.0.0.1:$MAPPED_PORT",
        prints: "websocket OVER SOCKET.IO\nwebsocket OVER SOCKET.IO\nwebsocket OVER SOCKET.IO\n",
        arrives: &[],
    },
    Row {
        name: "undici: tunnelled and plain",
        line: "node $PROGRAMS/undici_client.cjs http://node.seacat/undici",
        prints: "200 POST /undici tunnelled\n200 POST /undici plain\n",
        arrives: &[],
    },
    Row {
        name: "aiohttp",
        line: "$PYTHON $PROGRAMS/aiohttp_client.py http://origin.seacat",
        prints: "10000 bytes in pieces",
        arrives: &["GET /aiohttp/19 HTTP/1.1"],
    },
    Row {
        name: "requests",
        line: "$PYTHON $PROGRAMS/requests_client.py http://web.seacat http://origin.seacat",
        prints: "two cookies, a redirect, a form",
        arrives: &[],
    },
    Row {
        name: "curl: the server's own reason phrase",
        line: "curl -sSi http://origin.seacat/",
        prints: "HTTP/1.1 200 Whatever\r\n",
        arrives: &[],
    },
    Row {
        name: "curl: HTTP/1.0",
        line: "curl -sS --http1.0 -i http://origin.seacat/echo/old",
        prints: "GET /echo/old HTTP/1.1\r\n",
        arrives: &[],
    },
    Row {
        name: "curl: HTTP/1.0, an answer that breaks off",
        line: "curl -sS --http1.0 http://origin.seacat/torn 2>&1 || true",
        prints: "Connection reset by peer",
        arrives: &["GET /torn HTTP/1.1"],
    },
    Row {
        name: "curl: a file of Python's http.server",
        line: "curl -sS http://python.seacat/report.txt",
        prints: "a report",
        arrives: &[],
    },
];
