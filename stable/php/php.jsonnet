// Composer installs into the volume's vendor folder; the worker requires the
// autoloader in it.
local command = 'composer install --no-dev --prefer-dist --optimize-autoloader --working-dir $KUBELESS_INSTALL_VOLUME';

{
  ID: 'php',
  depName: 'composer.json',
  fileNameSuffix: '.php',
  versions: [
    {
      name: 'php82',
      version: '8.2',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/php-init:8.2',
          command: command,
        },
        {
          phase: 'runtime',
          image: 'kubeless/php:8.2',
        },
      ],
    },
    {
      name: 'php84',
      version: '8.4',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/php-init:8.4',
          command: command,
        },
        {
          phase: 'runtime',
          image: 'kubeless/php:8.4',
        },
      ],
    },
  ],
}
