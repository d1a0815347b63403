/** Writes the tables of `docs/faults.md`. */
import { expectedOf } from './fault-case.ts'
import type { Client, FaultCase, Layer, Seen } from './fault-case.ts'
import type { EventCase } from './fault-cases-events.ts'
import { expectedOfSocket } from './fault-cases-websocket.ts'
import type { SocketFaultCase } from './fault-cases-websocket.ts'

/** What a link can do, by name, as `network()` has it. */
export type Presets = Readonly<Record<string, { downKbps: number; upKbps: number; rttMs: number }>>

/** A client's column. */
interface Column {
  readonly title: string
  cell(row: FaultCase): string
}

const CHROMIUM: Column = columnOf('Chromium', 'chromium')
const UNDICI: Column = columnOf('undici', 'undici')
const HTTPS: Column = columnOf('`node:https`', 'https')

const COLUMNS: { readonly [Key in Layer]: readonly Column[] } = {
  reach: [columnOf('Chromium', 'chromium'), columnOf('Chromium by HTTP proxy', 'connect'), UNDICI, HTTPS],
  certificate: [
    columnOf('Chromium', 'chromium'),
    columnOf('with the CA in its own store', 'trusting'),
    columnOf('with `ignoreHTTPSErrors`', 'ignoring'),
    UNDICI,
    HTTPS,
  ],
  tls: [CHROMIUM, UNDICI, HTTPS],
  tcp: [CHROMIUM, UNDICI, HTTPS],
  pace: [CHROMIUM, UNDICI, HTTPS],
  http: [CHROMIUM, UNDICI, HTTPS],
  http2: [CHROMIUM, UNDICI, columnOf('`node:http2`', 'http2')],
}

/** Whose word for a symptom it is. */
const SPEAKERS: readonly { readonly title: string; readonly clients: readonly Client[] }[] = [
  { title: 'Chromium', clients: ['chromium', 'connect', 'trusting'] },
  { title: 'undici', clients: ['undici'] },
  { title: '`node:https`', clients: ['https'] },
  { title: '`node:http2`', clients: ['http2'] },
]

/** Puts the tables into the text of the docs, between their marks. @throws when a mark is missing */
export function withTables(text: string, tables: Readonly<Record<string, string>>): string {
  let result = text
  for (const [name, lines] of Object.entries(tables)) {
    const begin = `<!-- generated: ${name} -->`
    const end = `<!-- /generated: ${name} -->`
    const from = result.indexOf(begin)
    const to = result.indexOf(end)
    if (from === -1 || to < from) throw new Error(`docs/faults.md has no ${begin} … ${end}`)
    result = `${result.slice(0, from + begin.length)}\n\n${lines}\n\n${result.slice(to)}`
  }
  return result
}

/** Every table of the docs, by the name of its mark. */
export function faultTables(
  cases: readonly FaultCase[],
  events: readonly EventCase[],
  sockets: readonly SocketFaultCase[],
  presets: Presets,
): Record<string, string> {
  const tables: Record<string, string> = {}
  // A boundary: the keys of a record.
  for (const layer of Object.keys(COLUMNS) as Layer[]) tables[layer] = layerTable(cases, layer)
  tables['events'] = eventTable(events)
  tables['websocket'] = socketTable(sockets)
  tables['symptoms'] = symptomTable(cases)
  tables['presets'] = presetTable(presets)
  return tables
}

function layerTable(cases: readonly FaultCase[], layer: Layer): string {
  const columns = COLUMNS[layer]
  const rows = cases.filter((row) => row.layer === layer)
  const hasResponses = rows.some((row) => row.asked !== undefined)
  const head = ['fault', 'what it does', ...(hasResponses ? ['response'] : []), ...columns.map(({ title }) => title)]
  const body = rows.map((row) => [
    `\`${row.code}\``,
    row.what ?? '',
    ...(hasResponses ? [row.asked ?? ''] : []),
    ...columns.map((column) => column.cell(row)),
  ])
  return table(head, body)
}

function eventTable(events: readonly EventCase[]): string {
  return table(
    ['fault', 'what it does', 'an EventSource sees'],
    events.map(({ code, what, seen, hangs }) => [
      `\`${code}\``,
      what ?? '',
      [...seen.map(showEvent), ...(hangs ? ['and no more for now'] : [])].join(', '),
    ]),
  )
}

function socketTable(sockets: readonly SocketFaultCase[]): string {
  return table(
    ['fault', 'what it does', 'Chromium', 'undici', '`ws`'],
    sockets.map((row) => [
      `\`${row.code}\``,
      row.what ?? '',
      [row.chromium, row.orChromium].filter(Boolean).join(' or '),
      ...(['undici', 'ws'] as const).map((client) => show(expectedOfSocket(row, client))),
    ]),
  )
}

/** What came stands out from what became of the source. */
function showEvent(seen: string): string {
  return /[` ]/.test(seen) ? seen : `\`${seen}\``
}

function symptomTable(cases: readonly FaultCase[]): string {
  const faultsBySymptom = new Map<string, Set<string>>()
  for (const { title, clients } of SPEAKERS) {
    for (const row of cases) {
      for (const seen of clients.flatMap((client) => expectedOf(row, client))) {
        // What went well, or went its own way, is no symptom.
        if (/^(?:succeeds|succeeds, late|status \d+)$/.test(seen)) continue
        const key = `${title}\0${seen}`
        const faults = faultsBySymptom.get(key) ?? new Set()
        faultsBySymptom.set(key, faults.add(nameOf(row)))
      }
    }
  }
  const rows = [...faultsBySymptom].map(([key, faults]) => {
    const [client = '', seen = ''] = key.split('\0')
    return { client, seen, faults: [...faults].map((name) => `\`${name}\``).join(', ') }
  })
  return SPEAKERS.map(({ title }) => {
    const own = rows.filter(({ client }) => client === title)
    const sorted = own.toSorted((a, b) => bare(a.seen).localeCompare(bare(b.seen), 'en') || (a.seen < b.seen ? -1 : 1))
    return `### ${title.replaceAll('`', '')}\n\n${table(
      ['symptom', 'faults'],
      sorted.map(({ seen, faults }) => [show(seen), faults]),
    )}`
  }).join('\n\n')
}

function presetTable(presets: Presets): string {
  return table(
    ['preset', 'down', 'up', 'round trip'],
    Object.entries(presets).map(([name, { downKbps, upKbps, rttMs }]) => [
      `\`${name}\``,
      rate(downKbps),
      rate(upKbps),
      `${rttMs} ms`,
    ]),
  )
}

function rate(kbps: number): string {
  return kbps >= 1000 ? `${rounded(kbps / 1000)} Mbit/s` : `${rounded(kbps)} kbit/s`
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}

function columnOf(title: string, client: Client): Column {
  return {
    title,
    cell: (row) => either(expectedOf(row, client)),
  }
}

/** All that may be seen. The stage is said once, where it is that of all. */
function either([first = '', ...others]: readonly Seen[]): string {
  const stage = /^\w+: /.exec(first)?.[0] ?? ''
  const rest = others.map((seen) => (stage && seen.startsWith(stage) ? seen.slice(stage.length) : seen))
  return [first, ...rest].map(show).join(' or ')
}

/** `body: ECONNRESET` is said of a code: in print, the code stands out. */
function show(seen: Seen): string {
  return seen.replaceAll(
    /\b[A-Z][A-Z0-9]*(?:[_/]+[A-Z0-9]+)+\b|\bE[A-Z]{3,}\b|\bUNSPECIFIED\b|\bHTTPParserError\b/g,
    (code) => `\`${code}\``,
  )
}

function bare(seen: Seen): string {
  return seen.replace(/^\w+: /, '')
}

function nameOf({ code }: FaultCase): string {
  return code.replace(/\(.*$/s, '')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}
