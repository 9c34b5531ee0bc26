<?php

function handler($event, $context)
{
    echo $event->{'event-id'}, ' ', $event->{'event-type'}, ' ', json_encode($event->data), "\n";
    return $event->data;
}
