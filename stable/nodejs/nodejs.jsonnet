// Node.js finds the packages beside the function by itself; the path is for
// modules that lie elsewhere.
local packages = { NODE_PATH: '$(KUBELESS_INSTALL_VOLUME)/node_modules' };

{
  ID: 'nodejs',
  depName: 'package.json',
  fileNameSuffix: '.js',
  versions: [
    {
      name: 'nodejs18',
      version: '18',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/nodejs-init:18',
          command: 'npm install --omit=dev',
        },
        {
          phase: 'runtime',
          image: 'kubeless/nodejs:18',
          env: packages,
        },
      ],
    },
    {
      name: 'nodejs20',
      version: '20',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/nodejs-init:20',
          command: 'npm install --omit=dev',
        },
        {
          phase: 'runtime',
          image: 'kubeless/nodejs:20',
          env: packages,
        },
      ],
    },
  ],
}
