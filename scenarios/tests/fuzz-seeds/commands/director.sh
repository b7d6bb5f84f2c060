#!/bin/sh
# director by NAT
VIP=192.0.2.1
RIPS="10.0.0.2 10.0.0.3"
ip addr add ${VIP}/24 dev eth0 label eth0:1
echo 1 > /proc/sys/net/ipv4/ip_forward
sysctl -w net.ipv4.vs.expire_nodest_conn=1
ipvsadm -A -t $VIP:80 -s rr
for rip in $RIPS; do
    ipvsadm -a -t $VIP:80 -r $rip -m
done
case "$1" in
start) ifconfig eth0:0 $VIP netmask 255.255.255.255 up ;;
*) echo "usage"; exit 1 ;;
esac
if [ -f /etc/sysctl.conf ]; then
    iptables -t mangle -A PREROUTING -d $VIP -p tcp --dport 443 -j MARK --set-mark 1
fi
cat > /etc/sysctl.conf <<END
net.ipv4.ip_forward = 1
END
sysctl -p
