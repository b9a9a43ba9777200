/** Who counts what happens in the loops. */
export interface Meter {
  readonly passEnded: (mirror: string, pass: EndedPass) => void;
  /** So many more rows were committed at the destination by a copy. `table` by formatTableName(source). */
  readonly rowsCopied: (mirror: string, table: string, rows: number) => void;
}

export interface EndedPass {
  readonly result: 'success' | 'error';
  readonly seconds: number;
}
