/** The anchor of the copy: what anybody would type, one COPY piped into another. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cluster } from '../servers/cluster.ts';
import type { BenchContext } from './servers.ts';

/** `$1` is run at the source, `$2` at the destination; passwords stay out of the list of processes. */
const PIPE = `
  PGPORT=$SOURCE_PORT PGDATABASE=$SOURCE_DATABASE PGPASSWORD=$SOURCE_PASSWORD \\
    psql -X -q -v ON_ERROR_STOP=1 -c "$1" |
  PGPORT=$DESTINATION_PORT PGDATABASE=$DESTINATION_DATABASE PGPASSWORD=$DESTINATION_PASSWORD \\
    psql -X -q -v ON_ERROR_STOP=1 -c "$2"`;

export interface PsqlCopy {
  readonly sourceDatabase: string;
  readonly database: string;
  readonly table: string;
}

/** Copies into a table that is there. Returns the seconds it took. Throws when psql fails. */
export async function copyByPsql(context: BenchContext, copy: PsqlCopy): Promise<number> {
  const { source, destination, signal } = context;
  const statements = ['to stdout', 'from stdin'].map(
    (direction) => `copy ${copy.table} ${direction} (format binary)`,
  );
  const start = performance.now();
  const child = spawn('sh', ['-c', PIPE, 'sh', ...statements], {
    env: {
      PATH: process.env['PATH'],
      PGHOST: source.host,
      PGUSER: source.user,
      PGSSLMODE: 'disable',
      ...placeOf('SOURCE', source, copy.sourceDatabase),
      ...placeOf('DESTINATION', destination, copy.database),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
    signal,
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`psql ended with exit code ${code}`);
  return (performance.now() - start) / 1000;
}

function placeOf(side: string, { port, password }: Cluster, database: string): NodeJS.ProcessEnv {
  return {
    [`${side}_PORT`]: String(port),
    [`${side}_DATABASE`]: database,
    [`${side}_PASSWORD`]: password,
  };
}
