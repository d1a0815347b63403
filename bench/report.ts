/** The table that the bench prints. */
import { cpus, totalmem } from 'node:os'

/** One line of the table. */
export interface Result {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The largest value that is good enough; undefined for what is only told. */
  readonly target?: number
  /** What else is good to know. */
  readonly details: string
}

/** What the numbers were measured on. */
export interface Machine {
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
}

export function machine(): Machine {
  const all = cpus()
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  }
}

export function verdict({ value, target }: Result): 'ok' | 'miss' | '' {
  if (target === undefined) return ''
  return value <= target ? 'ok' : 'miss'
}

/** The results as text, in columns. */
export function table(results: readonly Result[], { node, platform, cpu, cores, memoryGiB }: Machine): string {
  const rows = [
    ['measure', 'value', 'target', '', 'details'],
    ...results.map((result) => [
      result.name,
      withUnit(result.value, result.unit),
      result.target === undefined ? '' : `≤ ${result.target}${result.unit && ` ${result.unit}`}`,
      verdict(result),
      result.details,
    ]),
  ]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [`Node ${node}, ${platform}, ${cores} x ${cpu}, ${memoryGiB} GiB`, '', ...lines].join('\n')
}

function withUnit(value: number, unit: string): string {
  return `${value.toFixed(2)}${unit && ` ${unit}`}`
}
