#!/usr/bin/env php
<?php
// Call prioritisation: calls of those on a list are urgent, and nobody else's are, whatever they say of themselves.
//
// In conf/sipcgi.yaml:  - {script: priority.php, method: [INVITE, MESSAGE], uri: "*@example.com"}
// To adapt: priority.txt, lines of caller and priority (emergency, urgent, normal, non-urgent), read again each time.
$lines = @file('priority.txt');
if ($lines === false) {
    fwrite(STDERR, "priority.txt cannot be read\n");
    exit(1); // a script that fails lets nobody through
}

// user@host of the caller: the display name is left out, and host names know no case
$from = (string) preg_replace('/"(?:[^"\\\\]|\\\\.)*"/', '', (string) getenv('SIP_FROM'));
$uri = preg_match('/<([^>]*)>/', $from, $found) ? $found[1] : (string) strtok($from, ';');
preg_match('/^\s*sips?:([^@;?]+)@([^:;?\s]+)/i', $uri, $found);
$caller = $found ? $found[1] . '@' . strtolower($found[2]) : '';

$priority = null;
foreach ($lines as $line) {
    $words = preg_split('/\s+/', trim($line));
    if ($words[0] === $caller && count($words) > 1) {
        $priority = $words[1];
    }
}
$own = strtolower((string) getenv('SIP_PRIORITY'));
if ($priority !== null) {
    echo 'CGI-PROXY-REQUEST ', getenv('REQUEST_URI'), " SIP/2.0\nPriority: $priority\n\n";
} elseif ($own === 'urgent' || $own === 'emergency') {
    echo 'CGI-PROXY-REQUEST ', getenv('REQUEST_URI'), " SIP/2.0\nCGI-Remove: Priority\n\n";
} // with nothing printed the call goes on as it came
