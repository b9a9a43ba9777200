import assert from 'node:assert/strict';
import test from 'node:test';
import { DESTINATION_PEER, lineOf, mirrorText, SOURCE_PEER, snapshotOf } from './files.ts';

const TABLES = '  tables:\n    - source: public.users\n';

/** What is wrong, and which mirrors are used. */
function look(texts: Readonly<Record<string, string>>): { found: string[]; used: string[] } {
  const { diagnostics, mirrors } = snapshotOf(texts);
  return { found: diagnostics.map(lineOf), used: mirrors.map(({ name }) => name) };
}

test('two files with one mirror name: neither is used, each names the other, a third goes on', () => {
  const { found, used } = look({
    'a.yaml': mirrorText(TABLES),
    'b.yaml': `# copied\n${mirrorText('  tables: [{source: public.orders}]\n')}`,
    'c.yaml': mirrorText('  tables: [{source: public.items}]\n', 'other'),
  });
  const hint = '(give one of them another name; until then neither is used)';
  assert.deepEqual(found, [
    `a.yaml:4:9: Mirror shop is also in b.yaml:5 ${hint}`,
    `b.yaml:5:9: Mirror shop is also in a.yaml:4 ${hint}`,
  ]);
  assert.deepEqual(used, ['other']);
});

test('a name is taken by a file with other errors too', () => {
  const { found, used } = look({
    'a.yaml': mirrorText(TABLES),
    'b.yaml': mirrorText('  tables: []\n'),
  });
  assert.equal(found.length, 3);
  assert.deepEqual(used, []);
});

test('a mirror and a peer may have the same name', () => {
  assert.deepEqual(look({ 'a.yaml': mirrorText(TABLES, 'from') }), { found: [], used: ['from'] });
});

test('two peers of one name, and the mirror that names them', () => {
  const { found, used } = look({ 'a.yaml': mirrorText(TABLES), 'b.yaml': SOURCE_PEER });
  assert.deepEqual(found, [
    'a.yaml:6:11: peer from has errors (from.yaml) (correct that file)',
    'b.yaml:3:18: Peer from is also in from.yaml:3 (give one of them another name; until then neither is used)',
    'from.yaml:3:18: Peer from is also in b.yaml:3 (give one of them another name; until then neither is used)',
  ]);
  assert.deepEqual(used, []);
});

test('a peer that is not there, misspelt or not', () => {
  const text = mirrorText(TABLES).replace('source: from', 'source: form').replace(': to', ': copy');
  assert.deepEqual(look({ 'a.yaml': text }).found, [
    'a.yaml:6:11: there is no peer form (did you mean from?)',
    'a.yaml:7:16: there is no peer copy (add a file of kind Peer, or write the connection here)',
  ]);
});

test('a peer with errors is told in its own file, and where it is named', () => {
  const { found, used } = look({
    'a.yaml': mirrorText(TABLES),
    'to.yaml': DESTINATION_PEER.replace('shop', 'x'.repeat(64)),
  });
  assert.deepEqual(found, [
    'a.yaml:7:16: peer to has errors (to.yaml) (correct that file)',
    'to.yaml:4:39: spec.database must not be longer than 63 characters',
  ]);
  assert.deepEqual(used, []);
});

test('a peer whose file is no YAML, and one whose file cannot be told from others', () => {
  const broken = { 'a.yaml': mirrorText(TABLES), 'to.yaml': `${DESTINATION_PEER}foo: [\n` };
  assert.equal(
    look(broken).found[0],
    'a.yaml:7:16: peer to has errors (to.yaml) (correct that file)',
  );
  const unknown = { ...broken, 'from.yaml': 'kind: [\n', 'to.yaml': DESTINATION_PEER };
  assert.equal(
    look(unknown).found[0],
    'a.yaml:6:11: no peer from is in the files that can be read (correct from.yaml first)',
  );
});

test('a peer of another name that begins alike takes nothing from it', () => {
  const other = SOURCE_PEER.replace('name: from', 'name: from db');
  const { found, used } = look({ 'a.yaml': mirrorText(TABLES), 'b.yaml': other });
  assert.equal(found.length, 1);
  assert.match(found[0] ?? '', /^b.yaml:3:18: metadata.name must be /);
  assert.deepEqual(used, ['shop']);
});

test("another mirror's own publication is not to be named, in the same database", () => {
  const taker = mirrorText(
    '  publication: bunny_shop\n  tables: [{source: public.orders}]\n',
    'taker',
  );
  const { found, used } = look({ 'a.yaml': mirrorText(TABLES), 'b.yaml': taker });
  assert.deepEqual(found, [
    'b.yaml:8:16: bunny_shop is the publication that mirror shop makes and drops (a.yaml) (name one that a DBA owns, or leave the field out)',
  ]);
  assert.deepEqual(used, ['shop']);
  const elsewhere = taker.replace('source: from', 'source: {host: h, database: other, user: u}');
  assert.deepEqual(look({ 'a.yaml': mirrorText(TABLES), 'b.yaml': elsewhere }).found, []);
});

test('names are measured in bytes, as PostgreSQL does', () => {
  const long = 'ä'.repeat(32);
  const { found } = look({
    'a.yaml': mirrorText(
      `  publication: ${long}\n  tables:\n    - source: public.${long}\n      excludeColumns: [ok, ${long}]\n`,
    ).replace('source: from', `source: {host: h, database: ${long}, user: ${long}}`),
  });
  const cut = 'longer than 63 bytes, which PostgreSQL would cut';
  assert.deepEqual(found, [
    `a.yaml:6:31: spec.source.database is ${cut}`,
    `a.yaml:6:71: spec.source.user is ${cut}`,
    `a.yaml:8:16: spec.publication is ${cut}`,
    `a.yaml:10:15: spec.tables[0].source has a part ${cut}`,
    `a.yaml:11:28: spec.tables[0].excludeColumns[1] is ${cut}`,
  ]);
});

test('table names', () => {
  const names = ['users', 'a.b.c', '"a.b', 'public.', 'public."a.b"', 'Public.Users'];
  const rows = names.map((name) => `    - source: '${name}'\n`).join('');
  const dot = '(a part that holds a dot is written in quotes: public."a.b")';
  assert.deepEqual(look({ 'a.yaml': mirrorText(`  tables:\n${rows}`) }).found, [
    'a.yaml:9:15: spec.tables[0].source must be schema.table (did you mean public.users?)',
    `a.yaml:10:15: spec.tables[1].source must be schema.table ${dot}`,
    `a.yaml:11:15: spec.tables[2].source must be schema.table ${dot}`,
    `a.yaml:12:15: spec.tables[3].source must be schema.table ${dot}`,
  ]);
});

test('what is ours or the server’s is no table to mirror, from or into', () => {
  const tables = `  tables:
    - source: public.a
      destination: bunnydb.tables
    - source: bunnydb.mirrors
    - source: public.b
      destination: bunnydb_shadow_12.b
    - source: bunnydb_old_3.c
      destination: public.c
    - source: pg_catalog.pg_class
      destination: public.classes
    - source: public.d
      destination: pg_toast.d
    - source: information_schema.sql_features
    - source: bunnydb_shadow_of_doubt.e
      destination: '"Bunnydb".tables'
`;
  const hint = '(name a table of a schema of your own)';
  const ledger = "in schema bunnydb, which is bunnydb's own ledger";
  const swap = "which is bunnydb's own, for the time of a swap";
  assert.deepEqual(look({ 'a.yaml': mirrorText(tables) }), {
    found: [
      `a.yaml:10:20: spec.tables[0].destination is ${ledger} ${hint}`,
      `a.yaml:11:15: spec.tables[1].source is ${ledger} ${hint}`,
      `a.yaml:13:20: spec.tables[2].destination is in schema bunnydb_shadow_12, ${swap} ${hint}`,
      `a.yaml:14:15: spec.tables[3].source is in schema bunnydb_old_3, ${swap} ${hint}`,
      `a.yaml:16:15: spec.tables[4].source is in schema pg_catalog, which is the server's own ${hint}`,
      `a.yaml:19:20: spec.tables[5].destination is in schema pg_toast, which is the server's own ${hint}`,
      `a.yaml:20:15: spec.tables[6].source is in schema information_schema, which is the server's own ${hint}`,
    ],
    used: [],
  });
});

test('a table twice is one mistake; two sources into one destination is another', () => {
  const tables = `  tables:
    - source: public.users
    - source: public."users"
    - source: public.a
      destination: public.b
    - source: public.b
    - source: public.c
      destination: public.b
    - source: public.users
      destination: public.users2
`;
  const once = '(a table can be in a mirror once; use a second mirror)';
  assert.deepEqual(look({ 'a.yaml': mirrorText(tables) }), {
    found: [
      `a.yaml:10:15: public.users is the source of spec.tables[0] already ${once}`,
      'a.yaml:13:15: public.b is the destination of spec.tables[2] already',
      'a.yaml:15:20: public.b is the destination of spec.tables[2] already',
      `a.yaml:16:15: public.users is the source of spec.tables[0] already ${once}`,
    ],
    used: [],
  });
});

test('two mirrors that write one table, however the host is written', () => {
  const local = (host: string): string => `destination: {host: ${host}, database: d, user: u}`;
  const { found, used } = look({
    'a.yaml': mirrorText(TABLES, 'a').replace('destination: to', local('LOCALHOST')),
    'b.yaml': mirrorText(
      '  tables:\n    - source: x.y\n      destination: public.users\n',
      'b',
    ).replace('destination: to', local('127.0.0.1')),
    'c.yaml': mirrorText(TABLES, 'c'),
  });
  const hint = '(one of the two must leave the table out or write another one)';
  assert.deepEqual(found, [
    `a.yaml:9:15: public.users is written by mirror b too (b.yaml:10) ${hint}`,
    `b.yaml:10:20: public.users is written by mirror a too (a.yaml:9) ${hint}`,
  ]);
  assert.deepEqual(used, ['c']);
});

test('a mirror onto itself, and one into the same database under another name', () => {
  const onto = mirrorText(
    '  tables:\n    - source: a.b\n    - source: a.c\n      destination: a.d\n',
  );
  assert.deepEqual(look({ 'a.yaml': onto.replace('destination: to', 'destination: from') }), {
    found: [
      'a.yaml:9:15: a.b would be mirrored onto itself (source and destination must be different tables, also by way of other mirrors)',
    ],
    used: [],
  });
  const beside = onto
    .replace('    - source: a.b\n', '')
    .replace('destination: to', 'destination: from');
  assert.deepEqual(look({ 'a.yaml': beside }), { found: [], used: ['shop'] });
});

test('a circle of mirrors is refused, a chain is not', () => {
  const there = mirrorText(TABLES, 'there');
  const back = mirrorText(TABLES, 'back')
    .replace('from', 'to')
    .replace('destination: to', 'destination: from');
  const on = mirrorText('  tables: [{source: public.users, destination: public.further}]\n', 'on')
    .replace('from', 'to')
    .replace('destination: to', 'destination: from');
  const { found, used } = look({ 'a.yaml': there, 'b.yaml': back, 'c.yaml': on });
  const round = 'changes of public.users would come back to it and go round for ever';
  const hint = '(source and destination must be different tables, also by way of other mirrors)';
  assert.deepEqual(found, [`a.yaml:9:15: ${round} ${hint}`, `b.yaml:9:15: ${round} ${hint}`]);
  assert.deepEqual(used, ['on']);
  assert.deepEqual(look({ 'a.yaml': there, 'c.yaml': on }), { found: [], used: ['there', 'on'] });
});

test('a certificate needs its key', () => {
  const text = mirrorText(TABLES).replace(
    'source: from',
    'source: {host: h, database: d, user: u, sslCert: c}',
  );
  assert.deepEqual(look({ 'a.yaml': text }).found, [
    'a.yaml:6:43: spec.source.sslCert needs sslKey beside it',
  ]);
});

test('maintenance windows are understood, and their time zones known', () => {
  const lookIn = (zone: string): ReturnType<typeof look> =>
    look({
      'a.yaml': mirrorText(
        `  maintenanceWindows: [{days: [Sat], start: "01:00", duration: 4h, timeZone: ${zone}}]\n${TABLES}`,
      ),
    });
  assert.deepEqual(lookIn('Europe/Berlin'), { found: [], used: ['shop'] });
  assert.deepEqual(lookIn('Europe/Berlino').found, [
    'a.yaml:8:78: spec.maintenanceWindows[0].timeZone "Europe/Berlino" is no time zone (did you mean Europe/Berlin?)',
  ]);
});
