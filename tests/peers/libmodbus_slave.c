/* A Modbus slave made of libmodbus, the peer of our master's tests.
 *
 *   libmodbus_slave PORT UNIT      9600 8N1, at most 60 s, says "up" when it listens
 *   libmodbus_slave tcp UNIT       one TCP connection on loopback, says "up" and the port
 *
 * Input and holding registers 0 to 99 hold 1000 and 2000 plus their number, every third coil and every
 * second discrete input is on. It is silent for other units.
 */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAUD = 9600, REGISTERS = 100, BITS = 40, SECONDS_TO_LIVE = 60 };

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "usage: %s PORT UNIT\n", words[0]);
        return 64;
    }
    alarm(SECONDS_TO_LIVE);
    int tcp = strcmp(words[1], "tcp") == 0;
    modbus_t *slave =
        tcp ? modbus_new_tcp("127.0.0.1", 0) : modbus_new_rtu(words[1], BAUD, 'N', 8, 1);
    modbus_mapping_t *tables = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    if (slave == NULL || tables == NULL || modbus_set_slave(slave, atoi(words[2])) == -1
        || (!tcp && modbus_connect(slave) == -1)) {
        fprintf(stderr, "%s: %s\n", words[1], modbus_strerror(errno));
        return 1;
    }
    for (int at = 0; at < REGISTERS; at++) {
        tables->tab_input_registers[at] = 1000 + at;
        tables->tab_registers[at] = 2000 + at;
    }
    for (int at = 0; at < BITS; at++) {
        tables->tab_bits[at] = at % 3 == 0;
        tables->tab_input_bits[at] = at % 2 == 0;
    }
    if (tcp) {
        int listener = modbus_tcp_listen(slave, 1);
        struct sockaddr_in at;
        socklen_t length = sizeof at;
        if (listener == -1 || getsockname(listener, (struct sockaddr *)&at, &length) == -1) {
            fprintf(stderr, "listen: %s\n", modbus_strerror(errno));
            return 1;
        }
        printf("up %d\n", ntohs(at.sin_port));
        fflush(stdout);
        if (modbus_tcp_accept(slave, &listener) == -1)
            return 1;
    } else {
        puts("up");
        fflush(stdout);
    }
    uint8_t request[MODBUS_RTU_MAX_ADU_LENGTH];
    for (;;) {
        int size = modbus_receive(slave, request);
        if (size > 0)
            modbus_reply(slave, request, size, tables);
    }
}
