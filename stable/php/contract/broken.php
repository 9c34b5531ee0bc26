<?php

function handler($event, $context)
{
    // The next line is a syntax error, on purpose.
    return );
}
