<?php
// Verifies a status update and commits it before it answers. One persistent connection to SQLite for each process.
header('Content-Length: 0');
$body = file_get_contents('php://input');
parse_str($body, $fields);
$text = '';
foreach ($fields as $name => $value) {
    if (strtolower($name) !== 'hash') {
        $text .= $value;
    }
}
$wanted = strtoupper(hash('sha512', $text . getenv('PAYNOW_KEY')));
if (!hash_equals($wanted, $fields['hash'] ?? '')) {
    http_response_code(403);
    exit;
}
$ledger = new PDO('sqlite:' . getenv('LEDGER'), null, null, [PDO::ATTR_PERSISTENT => true, PDO::ATTR_TIMEOUT => 30]);
$ledger->exec('PRAGMA synchronous = FULL');
$ledger->exec('BEGIN IMMEDIATE');
$ledger->prepare('INSERT INTO event (reference, at, body) VALUES (?, ?, ?)')
    ->execute([$fields['reference'], time(), $body]);
$ledger->prepare('INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET
    status = excluded.status, last_changed = excluded.last_changed')
    ->execute([$fields['reference'], $fields['paynowreference'], $fields['amount'], $fields['status'],
        $fields['pollurl'], time()]);
$ledger->exec('COMMIT');
