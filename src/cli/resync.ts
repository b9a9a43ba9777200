import { MirrorError } from '../core/errors.ts';
import { parseTableName, sameTable } from '../core/table-name.ts';
import type { MirrorSpec } from '../spec/document.ts';
import type { FieldEdit } from '../spec/edit.ts';
import { readStatus } from '../status/read-status.ts';
import type { Status } from '../status/status.ts';
import { EXIT } from './exit-codes.ts';
import { findTable, noSuchTable } from './find-table.ts';
import type { Output } from './output.ts';
import { runEdit } from './run-edit.ts';
import { selectMirrors } from './select-mirrors.ts';

export interface ResyncOptions {
  readonly dir: string;
  readonly statusDir: string;
  /** Source names, as in the file; none of them: the mirror's own counter. */
  readonly tables: readonly string[];
}

/** A counter that goes up. */
interface Bump extends FieldEdit {
  readonly label: string;
  readonly from: number;
}

/**
 * `bunnydb resync NAME TABLE…|--all`: raises counters in the mirror file, above what was asked for and
 * above what was done. Returns the exit code; the file is written once, or stays as it was.
 */
export async function resync(name: string, options: ResyncOptions, out: Output): Promise<number> {
  const [mirror] = (await selectMirrors(options.dir, name, out)) ?? [];
  if (mirror === undefined) return EXIT.invalidFiles;
  const unknown = options.tables.filter((table) => findTable(mirror, table) === undefined);
  for (const table of unknown) out.error(`${noSuchTable(mirror, table)}\n`);
  if (unknown.length > 0) return EXIT.usage;
  const status = await knownStatus(name, options.statusDir, out);
  const command = {
    edit: (spec: MirrorSpec) => bumpsFor({ name, spec, status }, options.tables),
    describe: ({ label, from, to }: Bump) =>
      `${label}: resyncGeneration ${from} -> ${to} in ${mirror.file}`,
    next: (bumps: readonly Bump[]) => nextSteps(name, options.tables.length === 0 ? [] : bumps),
  };
  return runEdit(mirror, command, out);
}

function bumpsFor(
  known: { readonly name: string; readonly spec: MirrorSpec; readonly status: Status | undefined },
  tables: readonly string[],
): Bump[] {
  const { name, spec, status } = known;
  if (tables.length === 0)
    return [bump(name, ['spec'], spec, status?.status.resyncGeneration?.observed)];
  const sources = spec.tables.map(({ source }) => source);
  const indexes = new Set(tables.map((table) => indexOf(sources, table)));
  return spec.tables.flatMap((table, index) => {
    if (!indexes.has(index)) return [];
    const row = status?.status.tables.find(({ source }) => indexOf([source], table.source) === 0);
    return [bump(table.source, ['spec', 'tables', index], table, row?.resyncGeneration.observed)];
  });
}

function bump(
  label: string,
  of: FieldEdit['of'],
  { resyncGeneration: from = 0 }: { readonly resyncGeneration?: number },
  observed = 0,
): Bump {
  const to = Math.max(from, observed) + 1;
  if (!Number.isSafeInteger(to))
    throw new MirrorError(
      'InvalidSpec',
      `${label}: resyncGeneration cannot go higher than ${from}`,
    );
  return { label, of, field: 'resyncGeneration', from, to };
}

/** What was done already; without it the file alone decides, and that is said. */
async function knownStatus(name: string, dir: string, out: Output): Promise<Status | undefined> {
  const status = await readStatus(dir, name).catch(() => undefined);
  // Whatever lies there: only what has the form is believed.
  if (Array.isArray(status?.status?.tables)) return status;
  out.error(`note: no status of ${name} in ${dir}; counting from the file alone\n`);
  return undefined;
}

function nextSteps(name: string, bumps: readonly Bump[]): string {
  const waits = bumps.map(
    ({ label }) => `  bunnydb wait ${name} --for resync=${shellWord(label)}\n`,
  );
  const wait = waits.length > 0 ? waits.join('') : `  bunnydb wait ${name}\n`;
  return `commit it where the daemon gets its files from; when that is done, this returns:\n${wait}`;
}

function shellWord(text: string): string {
  return /^[\w.]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Where a table is among names as people write them: quoted or not is the same. */
function indexOf(names: readonly string[], wanted: string): number {
  const table = parseTableName(wanted);
  return names.findIndex((name) => {
    const candidate = parseTableName(name);
    return table !== undefined && candidate !== undefined && sameTable(candidate, table);
  });
}
