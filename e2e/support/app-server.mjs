// An application's server, as a process of its own: each page it makes has what the API says, and what was saved there.
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { fetch, ProxyAgent } from 'undici'

const dispatcher = new ProxyAgent({
  uri: process.env.HTTPS_PROXY,
  requestTls: { ca: readFileSync(process.env.NODE_EXTRA_CA_CERTS), allowH2: process.argv[2] === 'http2' },
})
const server = createServer(async (request, response) => {
  const answer = await fetch('https://api.test/user', { dispatcher, headers: { accept: 'application/json' } })
  const text = await answer.text()
  response.setHeader('content-type', 'text/html')
  response.end(
    `<!doctype html><link rel="icon" href="data:,"><h1>${answer.status} ${text.replaceAll('<', '&lt;')}</h1>`,
  )
})
server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)))
