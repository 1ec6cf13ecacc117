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
        arrives: &["POST /sum HTTP/1.1"],
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
        name: "npm's ws: CONNECT to Tornado",
        line: "node $PROGRAMS/ws_client.cjs connect ws://tornado.seacat/echo",
        prints: "BY CONNECT",
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
        name: "curl: HTTP/1.0, a name and a password",
        line: "curl -sS --http1.0 http://ann:secret@origin.seacat/echo",
        prints: "Authorization: Basic YW5uOnNlY3JldA==",
        arrives: &[],
    },
    Row {
        name: "curl: a file of Python's http.server",
        line: "curl -sS http://python.seacat/report.txt",
        prints: "a report",
        arrives: &[],
    },
];
