<?php

use Example\Greeting;

function handler($event, $context)
{
    return (string) new Greeting('world');
}
