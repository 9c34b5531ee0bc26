{
  ID: 'binary',
  // The file is the program itself, and all that it needs.
  depName: '',
  fileNameSuffix: '',
  versions: [
    {
      name: 'binary10',
      version: '1.0',
      images: [
        { phase: 'runtime', image: 'kubeless/binary:1.0' },
      ],
    },
  ],
}
