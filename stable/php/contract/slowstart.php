<?php

sleep(3);

function handler($event, $context)
{
    return 'started';
}
