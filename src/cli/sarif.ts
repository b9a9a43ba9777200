/** SARIF 2.1.0, which code scanning takes: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ */
import { pathToFileURL } from 'node:url';
import { isAbsolute, sep } from 'node:path';
import { ownVersion } from '../core/version.ts';
import { withHint, type Diagnostic } from '../spec/diagnostic.ts';
import type { Report, ReportCode } from './diagnostic-formats.ts';

/** What each code stands for, in a few words. */
const RULES: Readonly<Record<ReportCode, string>> = {
  Unreadable: 'A file or directory that cannot be read',
  Unsettled: 'Files that change while they are read',
  TooLarge: 'A file that is too large',
  NotUtf8: 'A file that is not UTF-8 text',
  EmptyFile: 'A file that holds nothing',
  YamlSyntax: 'Text that is not valid YAML',
  TabIndentation: 'A tab used for indentation',
  DuplicateKey: 'A field that is written twice',
  MultipleDocuments: 'More than one document in a file',
  AliasRefused: 'An anchor or alias',
  MergeKeyRefused: 'A merge key',
  AmbiguousNumber: 'A number that other YAML programs read differently',
  MissingField: 'A field that is missing',
  UnknownField: 'A field that is not known',
  UnknownKind: 'A kind that is not known',
  UnknownVersion: 'An apiVersion that is not known',
  WrongType: 'A value of the wrong type',
  InvalidValue: 'A value that is not allowed',
  LiteralPassword: 'A password written in the file',
  DuplicateName: 'A name that two files give',
  UnknownPeer: 'A peer that is not there',
  InvalidPeer: 'A peer that has errors',
  InvalidTableName: 'A table name that is not schema.table',
  NameTooLong: 'A name that PostgreSQL would cut',
  ReservedSchema: 'A table of bunnydb itself or of the server',
  IncompleteCertificate: 'A certificate without its key, or a key without its certificate',
  DuplicateTable: 'A table that is listed twice',
  DestinationConflict: 'A table that two mirrors write',
  PublicationConflict: 'A publication that another mirror makes and drops',
  Loop: 'Changes that would go round for ever',
  NotSupported: 'Something that this version does not do',
  NotRead: 'A file that is never read',
  NothingToCheck: 'A directory without mirror files',
  CounterLowered: 'A resync counter that went down',
  ImmutableFieldChanged: 'Another database or publication',
  AddressChanged: 'Another address of a database',
  MirrorRemoved: 'A mirror that is removed',
  TableRemoved: 'A table that is not mirrored any more',
  MirrorAdded: 'A new mirror',
  TableAdded: 'A new table',
  CopiedAgain: 'Tables that will be copied again',
};

const RULE_IDS = Object.keys(RULES);

/** The report as one run. Paths are to be those of the repository; only what lies outside stays absolute. */
export function formatSarif({ diagnostics }: Report): string {
  const rules = Object.entries(RULES).map(([id, text]) => ({ id, shortDescription: { text } }));
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'bunnydb', version: ownVersion(), rules } },
        columnKind: 'utf16CodeUnits',
        results: diagnostics.map(toResult),
      },
    ],
  };
  return JSON.stringify(log, undefined, 2);
}

function toResult(diagnostic: Diagnostic<ReportCode>): object {
  const { code, severity, file, line, column, endLine, endColumn } = diagnostic;
  const region = {
    startLine: line,
    startColumn: column,
    ...(endLine === undefined ? {} : { endLine }),
    ...(endColumn === undefined ? {} : { endColumn }),
  };
  return {
    ruleId: code,
    ruleIndex: RULE_IDS.indexOf(code),
    level: severity,
    message: { text: withHint(diagnostic) },
    locations: [{ physicalLocation: { artifactLocation: { uri: toUri(file) }, region } }],
  };
}

function toUri(path: string): string {
  if (isAbsolute(path)) return pathToFileURL(path).href;
  return path.split(sep).map(encodeURIComponent).join('/');
}
