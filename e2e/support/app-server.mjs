// An application's server, as a process of its own: each page that it makes shows what the API says.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fetch, ProxyAgent } from 'undici'

const dispatcher = new ProxyAgent({
  uri: process.env.HTTPS_PROXY,
  requestTls: { ca: readFileSync(process.env.NODE_EXTRA_CA_CERTS), allowH2: process.argv[2] === 'http2' },
})

async function render(response) {
  const answer = await fetch('https://api.test/user', { dispatcher, headers: { accept: 'application/json' } })
  const text = `${answer.status} ${await answer.text()}`
  response.setHeader('content-type', 'text/html')
  response.end(`<!doctype html><link rel="icon" href="data:,"><h1>${text.replaceAll('<', '&lt;')}</h1>`)
}

const server = createServer((_, response) => void render(response))
server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)))
