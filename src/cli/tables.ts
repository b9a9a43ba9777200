import { classify } from '../core/errors.ts';
import type { Connection, Mirror } from '../core/mirror.ts';
import { observePublication } from '../observe/publication.ts';
import { observeServer } from '../observe/server.ts';
import { observeTableList } from '../observe/table-list.ts';
import { whyNotMirrorable } from '../plan/check/mirrorable.ts';
import { openSession } from '../postgres/session.ts';
import { tableAt } from '../spec/conflicts.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import { loadDirectory } from '../spec/load.ts';
import type { Snapshot } from '../spec/snapshot.ts';
import { nearest } from '../spec/suggest.ts';
import { EXIT } from './exit-codes.ts';
import { tellError, type Output } from './output.ts';
import { tablesJson, tablesText, type ListedTable } from './tables-text.ts';

export interface TablesOptions {
  readonly dir: string;
  readonly schema?: string;
  /** Of a mirror: the tables of the database that it writes. */
  readonly destination: boolean;
  readonly output: 'table' | 'json';
}

/** The database that was asked for. */
interface Place {
  readonly connection: Connection;
  /** In whose publication a table would have to be. */
  readonly publication: Mirror['publication'];
}

/**
 * `bunnydb tables PEER|NAME`: what a database has, and whether it can be mirrored. Exit codes: done, failed
 * (it cannot be looked at), invalid files (also: no such name), usage.
 */
export async function tables(name: string, options: TablesOptions, out: Output): Promise<number> {
  const snapshot = await loadDirectory(options.dir).catch((thrown: unknown) => classify(thrown));
  if (snapshot instanceof Error) {
    tellError(out, snapshot);
    return EXIT.invalidFiles;
  }
  if (options.destination && snapshot.peers.has(name)) {
    out.error(`error: ${name} is a Peer; --destination is for a mirror\n`);
    return EXIT.usage;
  }
  const place = findPlace(name, options.destination, snapshot);
  if (place === undefined) {
    out.error(unknownName(name, options.dir, snapshot));
    return EXIT.invalidFiles;
  }
  try {
    const listed = await list(name, place, snapshot.mirrors);
    const chosen = listed.filter(
      ({ shape }) => options.schema === undefined || shape.name.schema === options.schema,
    );
    out.print(options.output === 'json' ? tablesJson(chosen) : tablesText(chosen));
    return EXIT.done;
  } catch (thrown) {
    tellError(out, classify(thrown), name);
    return EXIT.failed;
  }
}

/** A name that a peer and a mirror share is the peer's. */
function findPlace(name: string, destination: boolean, snapshot: Snapshot): Place | undefined {
  const peer = snapshot.peers.get(name);
  if (peer !== undefined)
    return { connection: peer, publication: { name: 'bunny_<mirror>', managed: true } };
  const mirror = snapshot.mirrors.find((one) => one.name === name);
  return (
    mirror && {
      connection: destination ? mirror.destination : mirror.source,
      publication: destination ? { name: 'bunny_<mirror>', managed: true } : mirror.publication,
    }
  );
}

function unknownName(name: string, dir: string, snapshot: Snapshot): string {
  const known = [...snapshot.peers.keys(), ...snapshot.mirrors.map((one) => one.name)];
  const meant = nearest(name, known);
  const errors = snapshot.diagnostics.filter(({ severity }) => severity === 'error');
  return [
    `no peer and no mirror ${name} in ${dir}${meant === undefined ? '' : `; did you mean ${meant}?`}\n`,
    ...errors.map((error) => `${describeDiagnostic(error)}\n`),
  ].join('');
}

async function list(
  name: string,
  { connection, publication }: Place,
  mirrors: readonly Mirror[],
): Promise<ListedTable[]> {
  const options = { mirror: name, role: 'observer', readOnly: true } as const;
  await using session = await openSession(connection, options);
  const look = {
    source: await observeServer(session),
    publication: await observePublication(session, publication.name),
  };
  const found = await observeTableList(session);
  return found.tables.map((shape) => {
    const here = tableAt(connection, shape.name);
    const isHere = (end: Connection, table: Mirror['tables'][number]['source']): boolean =>
      tableAt(end, table) === here;
    return {
      shape,
      problems: whyNotMirrorable(shape, { publication }, look).map(({ error }) => error),
      readBy: mirrors
        .filter(({ source, tables: own }) => own.some((one) => isHere(source, one.source)))
        .map((mirror) => mirror.name),
      writtenBy: mirrors
        .filter((mirror) =>
          mirror.tables.some((one) => isHere(mirror.destination, one.destination)),
        )
        .map((mirror) => mirror.name),
    };
  });
}
