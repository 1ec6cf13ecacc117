// Mono's HttpWebRequest and WebClient, which take the proxy from the variable http_proxy.
// Usage: http_proxy=… mono client.exe WEB ORIGIN (base URLs of nginx and of our own origin)

using System;
using System.IO;
using System.Net;
using System.Text;

static class Client
{
    static void Main(string[] arguments)
    {
        string web = arguments[0], origin = arguments[1];
        // .NET Framework's default: Expect: 100-continue, and up to two connections for each host.
        var request = (HttpWebRequest)WebRequest.Create(origin + "/sum");
        request.Method = "POST";
        request.SendChunked = true;
        byte[] body = Encoding.ASCII.GetBytes(new string('x', 100000));
        using (Stream stream = request.GetRequestStream())
            stream.Write(body, 0, body.Length);
        using (var reader = new StreamReader(request.GetResponse().GetResponseStream()))
            Console.Write("HttpWebRequest: " + reader.ReadToEnd());

        using (var client = new WebClient())
        {
            client.Headers["SOAPAction"] = "urn:probe";
            Console.WriteLine("WebClient: " + client.UploadString(origin + "/echo", "posted"));
            Console.Write(client.DownloadString(web + "/hello.txt"));
        }
    }
}
