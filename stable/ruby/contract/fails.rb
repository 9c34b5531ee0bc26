raise 'contract: cannot load'
