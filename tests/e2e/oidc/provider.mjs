// A certified OpenID provider on loopback. SHOREPASS is the tenant's address at the server under test. Says
// `ready <issuer>` when it answers; a line `groups a,b` on standard input changes the groups of everybody.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// The modules are installed outside the repository: OIDC_MODULES is the folder that holds `node_modules`.
const require = createRequire(pathToFileURL(`${process.env.OIDC_MODULES}/`));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

// Standard output is the test's.
console.info = console.error;

let groups = ['ship'];
const server = createServer().listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'shorepass',
      client_secret: process.env.OIDC_CLIENT_SECRET,
      redirect_uris: [`${process.env.SHOREPASS}/signin/callback`],
      backchannel_logout_uri: `${process.env.SHOREPASS}/signin/logout`,
    }],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'] },
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    // Its own guard lets it tell nobody on loopback that a person has signed out.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    cookies: { keys: ['only for tests'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} at the provider`, preferred_username: id, groups }),
    }),
  });
  provider.on('backchannel.error', (_, error) => console.error('back-channel logout failed:', error.message));
  server.on('request', provider.callback());
  console.log(`ready ${issuer}`);
});

createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, names = ''] = line.split(' ');
  if (word === 'groups') groups = names.split(',').filter(Boolean);
  console.log('done');
}).on('close', () => process.exit(0));
