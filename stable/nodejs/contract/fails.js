throw new Error('contract: cannot load');
