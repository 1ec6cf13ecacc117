import java.io.ByteArrayOutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.List;

/** Java's HttpURLConnection behind -Dhttp.proxyHost: GET, HEAD, POST, PUT, DELETE, 304, cookies.
 *  Usage: java -Dhttp.proxyHost=… -Dhttp.proxyPort=… Client.java WEB ORIGIN */
public class Client {
    private record Answer(int status, byte[] body, HttpURLConnection from) {}

    public static void main(String[] args) throws Exception {
        String web = args[0], origin = args[1];
        Answer hello = ask("GET", web + "/hello.txt", null, 0);
        same("hello from nginx\n", new String(hello.body));
        same(17, ask("HEAD", web + "/hello.txt", null, 0).from.getContentLength());

        byte[] body = new byte[300_000];
        for (int i = 0; i < body.length; i++) body[i] = (byte) (i * 31);
        same(true, new String(ask("POST", origin + "/sum", body, 0).body).endsWith(" 300000\n"));
        same(true, new String(ask("POST", origin + "/sum", body, 4096).body).endsWith(" 300000\n"));
        same(201, ask("PUT", web + "/put/from-java", body, 0).status);
        same(body.length, ask("GET", web + "/put/from-java", null, 0).body.length);
        same(204, ask("DELETE", web + "/put/from-java", null, 0).status);
        same(404, ask("GET", web + "/put/from-java", null, 0).status);
        same(204, ask("GET", web + "/no-content", null, 0).status);
        same("hello from nginx\n", new String(ask("GET", web + "/moved", null, 0).body));

        String named = origin.replace("http://", "http://ann:secret@") + "/echo#top";
        String echo = new String(ask("GET", named, null, 0).body);
        same(true, echo.contains("Authorization: Basic YW5uOnNlY3JldA=="));

        List<String> cookies =
            ask("GET", web + "/cookies", null, 0).from.getHeaderFields().get("Set-Cookie");
        same(2, cookies.size());
        for (int i = 0; i < 200; i++) same(200, ask("GET", web + "/small", null, 0).status);
        System.out.println("HttpURLConnection: GET HEAD POST PUT DELETE, chunked, 204, 302, a"
            + " password in the URL, two cookies, 200 more requests");
    }

    /** One request; chunk > 0 sends the body chunked. */
    private static Answer ask(String method, String url, byte[] body, int chunk) throws Exception {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod(method);
        connection.setReadTimeout(30_000);
        if (body != null) {
            connection.setDoOutput(true);
            if (chunk > 0) connection.setChunkedStreamingMode(chunk);
            else connection.setFixedLengthStreamingMode(body.length);
            try (var out = connection.getOutputStream()) {
                out.write(body);
            }
        }
        int status = connection.getResponseCode();
        same(true, connection.usingProxy());
        var all = new ByteArrayOutputStream();
        var in = status < 400 ? connection.getInputStream() : connection.getErrorStream();
        if (in != null) in.transferTo(all);
        return new Answer(status, all.toByteArray(), connection);
    }

    private static void same(Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
