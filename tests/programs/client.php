<?php
// PHP's streams and its curl, each as its manual shows a proxy.
// Usage: http_proxy=… php client.php WEB ORIGIN (base URLs of nginx and of our own origin)

[, $web, $origin] = $argv;
$proxy = getenv("http_proxy");

$context = stream_context_create(["http" => [
    "proxy" => str_replace("http://", "tcp://", $proxy),
    "request_fulluri" => true,
]]);
echo "streams: ", file_get_contents("$web/hello.txt", false, $context);

$curl = curl_init("$origin/sum");
curl_setopt_array($curl, [
    CURLOPT_PROXY => $proxy,
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_POSTFIELDS => str_repeat("x", 5000),
]);
echo "curl: ", explode(" ", curl_exec($curl))[1];
