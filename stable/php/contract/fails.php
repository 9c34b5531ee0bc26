<?php

throw new Exception('contract: cannot load');
