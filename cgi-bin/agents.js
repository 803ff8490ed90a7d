#!/usr/bin/env node
// Feature-based agent choice: a call for sales or support rings at those who do that and speak the caller's language.
//
// In conf/sipcgi.yaml:  - {script: agents.js, method: INVITE, uri: ["sales@example.com", "support@example.com"]}
// To adapt: agents.txt, lines of URI, skills and languages, read again for each call.
const lines = require('fs').readFileSync('agents.txt', 'utf8').split('\n');
const agents = lines.map((line) => line.trim().split(/\s+/))
  .filter((words) => words.length >= 3 && words[0] !== '#')
  .map(([uri, skills, languages]) => ({ uri, skills: skills.split(','), languages: languages.split(',') }));

// Accept-Language: es, en;q=0.5 gives es and en, the most wanted one first; en-GB is understood by who speaks en.
const wanted = (process.env.SIP_ACCEPT_LANGUAGE || '').split(',').map((part) => {
  const [language, ...parameters] = part.trim().toLowerCase().split(/\s*;\s*/);
  const q = parameters.find((parameter) => parameter.startsWith('q='));
  return { language: language.split('-')[0], q: q ? Number(q.slice(2)) : 1 };
}).filter(({ language, q }) => language && q > 0).sort((a, b) => b.q - a.q);

const skill = (/^sips?:([^@]+)@/.exec(process.env.REQUEST_URI) || [])[1];
const skilled = agents.filter((agent) => agent.skills.includes(skill));
const best = wanted.find(({ language }) => skilled.some((agent) => agent.languages.includes(language)));
const chosen = best ? skilled.filter((agent) => agent.languages.includes(best.language)) : skilled;

for (const agent of chosen) console.log(`CGI-PROXY-REQUEST ${agent.uri} SIP/2.0\nCGI-Timeout: 30\n`); // all at once
if (!chosen.length) console.log('SIP/2.0 480 Nobody is there for this\n');
