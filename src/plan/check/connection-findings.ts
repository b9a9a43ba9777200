/** What of a connect failed, and where to mend it. Pure. */
import { driverCode, type ErrorCode, type MirrorError } from '../../core/errors.ts';
import type { Connection, Mirror } from '../../core/mirror.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { CheckLook } from './check-look.ts';
import type { Finding } from './finding.ts';
import { ledgerFix } from './side-findings.ts';

/** Why a side was not looked at. */
export function connectionFindings(mirror: Mirror, look: CheckLook): Finding[] {
  return (['source', 'destination'] as const).flatMap((side): Finding[] => {
    const answer = look[side];
    if (answer.is === 'there') return [];
    const { error } = answer;
    const { code, message } = error;
    const base = { result: 'fail', table: undefined, code } as const;
    if (answer.is === 'unreachable') {
      const { what, fix } = explainConnection(error, mirror[side], side);
      return [{ ...base, name: `${side}-connection`, message: `${what}: ${message}`, fix }];
    }
    // The catalogs are everybody's to read: what is not is a table that is locked, or the ledger.
    const fix = code === 'PermissionDenied' ? ledgerFix(mirror.destination.user) : error.hint;
    return [
      side === 'source'
        ? { ...base, name: 'source-tables', message, fix: error.hint }
        : { ...base, name: 'ledger', message, fix },
    ];
  });
}

function explainConnection(
  error: MirrorError,
  { host, port, user, database }: Connection,
  side: 'source' | 'destination',
): { what: string; fix: string } {
  const edit = `spec.${side} in the mirror file, or its Peer`;
  const driver = driverCode(error.cause);
  if (driver === 'ENOTFOUND' || driver === 'EAI_AGAIN')
    return { what: 'DNS', fix: `The name ${host} is not known here: correct host in ${edit}.` };
  if (driver === 'ECONNREFUSED')
    return {
      what: 'refused',
      fix: `Nothing listens at ${host}:${port}: start the server, set its listen_addresses, or correct host and port in ${edit}.`,
    };
  const known: Partial<Record<ErrorCode, { what: string; fix: string }>> = {
    AuthenticationFailed: {
      what: 'password',
      fix: `Correct user and password in ${edit}; at the server, pg_hba.conf must let role ${user} in, and \\password ${user} sets its password.`,
    },
    DatabaseMissing: {
      what: 'database',
      fix: `CREATE DATABASE ${quoteIdent(database)}; or correct database in ${edit}.`,
    },
    TlsUnavailable: { what: 'TLS', fix: `${error.hint} They are in ${edit}.` },
    SecretUnavailable: { what: 'password', fix: `${error.hint} It is in ${edit}.` },
  };
  return known[error.code] ?? { what: 'connection', fix: `${error.hint} It is in ${edit}.` };
}
