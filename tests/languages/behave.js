#!/usr/bin/env node
const fs = require('fs');

const { env } = process;
const write = (text) => fs.writeSync(1, text);
const say = (...lines) => write(`${lines.join('\n')}\n\n`);
const again = () => say('CGI-AGAIN yes SIP/2.0');
const cookie = (text) => say(`CGI-SET-COOKIE ${text} SIP/2.0`);
const place = (number) => {
  say(`CGI-PROXY-REQUEST sip:place-${number}@example.net SIP/2.0`, `CGI-Request-Token: t${number}`);
  cookie(number);
  again();
};
const withBody = (body, ...lines) => {
  say(...lines, `Content-Length: ${Buffer.byteLength(body)}`);
  write(body);
};

const NAMES = `REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT
  RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ`.split(/\s+/);
const status = env.RESPONSE_STATUS || '';
const actions = {
  nothing() {},
  decline: () => say('SIP/2.0 603 No, thanks', 'Retry-After: 3600'),
  moved: () => say('SIP/2.0 302 Moved Temporarily', 'Contact: <sip:bob@192.0.2.1>;q=0.9',
    'Contact: "Bob, \\"home\\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1'),
  echo: () => say(`CGI-PROXY-REQUEST ${env.REQUEST_URI} SIP/2.0`, 'CGI-Remove: Subject', `X-Seen: ${env.SIP_SUBJECT}`),
  length: () => say('SIP/2.0 480 Counted', `X-Octets: ${Buffer.byteLength(env.SIP_SUBJECT)}`),
  body() {
    const octets = fs.readFileSync(0);
    if (octets.length) withBody(octets, 'SIP/2.0 200 OK', `Content-Type: ${env.CONTENT_TYPE}`);
    else say('SIP/2.0 200 OK', 'Content-Length: 0');
  },
  other: () => withBody('{"é": 1}', `CGI-PROXY-REQUEST ${env.REQUEST_URI} SIP/2.0`, 'Content-Type: application/json'),
  fork() {
    say('CGI-PROXY-REQUEST sip:a@example.net SIP/2.0', 'CGI-Timeout: 2.5');
    say('CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0', 'CGI-Timeout: 30');
  },
  hunt() {
    if (!status) {
      place(1);
    } else if (/^1/.test(status)) {
      say('CGI-FORWARD-RESPONSE this SIP/2.0', `X-Place: ${env.SCRIPT_COOKIE}`);
      again();
    } else if (/^[345]/.test(status)) {
      place(Number(env.SCRIPT_COOKIE) + 1);
    }
  },
  variables() {
    const lines = NAMES.map((name) => (env[name] === undefined ? `undefined ${name}` : `${name}=${env[name]}`));
    lines.push(`arguments ${process.argv.length - 2}`);
    withBody(lines.join('\n'), 'SIP/2.0 480 Listed', 'Content-Type: text/plain');
  },
  bob: () => say('SIP/2.0 480 Listed', `X-Phones: ${env.REGISTRATIONS}`),
  timer() {
    say('SIP/2.0 182 Queued');
    say('CGI-AGAIN yes SIP/2.0', 'CGI-After: 5');
  },
  answer() {
    withBody('v=0\n', 'SIP/2.0 200 OK', 'Content-Type: application/sdp');
    cookie('answered');
    again();
  },
  fail() {
    say('SIP/2.0 200 OK');
    console.error('no luck');
    process.exitCode = 3;
  },
  complain: () => console.error('a word to the log'),
};
const event = env.SIPCGI_EVENT;
if (event === 'cancel') cookie('cancel');
else if (event === 'ack') cookie('answered');
else if (event === 'timer') say('SIP/2.0 480 Nobody came');
else actions[/^sip:([^@]*)@/.exec(env.SIPCGI_URI)[1]]();
