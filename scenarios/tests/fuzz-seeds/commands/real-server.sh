# ifconfig lo:0 192.0.2.1 netmask 255.255.255.255 broadcast 192.0.2.1 up
# route add -host VIP dev lo:0
[root@rs1 ~]# vim /etc/sysctl.conf
net.ipv4.conf.lo.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
$ ip route add default via 10.0.0.1 && echo "done" | tee log
ip tunnel add tunl0 mode ipip local 10.0.0.2 remote any
ip link set tunl0 up; ip -6 addr add 2001:db8::1/128 dev lo
echo `date` "unfinished
